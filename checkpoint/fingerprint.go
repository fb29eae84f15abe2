package checkpoint

import "strings"

// Fingerprint tells graphs apart whose topologies are the same: two builds of a program that give one fingerprint can
// run the same job. It is the name of the scheme by which it was made, a dash, and a hash; empty when it is not known.
type Fingerprint string

// Contradicts reports whether two fingerprints are known to be of different graphs. Those of different schemes say
// nothing about each other: a new version of Cairn that looks at more must not take running jobs for foreign ones.
func (f Fingerprint) Contradicts(other Fingerprint) bool {
	scheme, _, known := strings.Cut(string(f), "-")
	otherScheme, _, otherKnown := strings.Cut(string(other), "-")
	return known && otherKnown && scheme == otherScheme && f != other
}

// OperatorText describes an operator of a graph as far as builds must agree on it: kind, types, inputs. Texts are made
// to be compared and to be read by people, not to be parsed.
type OperatorText struct {
	Operator OperatorID
	Text     string
}

// OperatorDifference names the first operator in which a node's build of a graph differs from the one that a job was
// submitted with, as Topology.Difference does. It is empty when there is none.
func OperatorDifference(job, built []OperatorText) string {
	for i, want := range job {
		switch {
		case i == len(built):
			return "has no operator " + string(want.Operator)
		case built[i].Operator != want.Operator:
			return "has operator " + string(built[i].Operator) + " in the place of " + string(want.Operator)
		case built[i].Text != want.Text:
			return "has operator " + string(want.Operator) + " as " + built[i].Text + "; the job has " + want.Text
		}
	}
	if len(built) > len(job) {
		return "has operator " + string(built[len(job)].Operator) + ", which the job has not"
	}
	return ""
}
