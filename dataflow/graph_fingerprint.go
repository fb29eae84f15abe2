package dataflow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// fingerprintScheme names what fingerprints are made of. It changes with everything that changes the texts of operators:
// fingerprints of two schemes are not compared.
const fingerprintScheme = "2"

// Fingerprint returns what tells a sealed graph from that of another build: a hash of its parameters and of
// OperatorTexts. It has no part in it where the operators' functions are, or what they do: two builds that differ in
// nothing else have the same. Parallelism and what follows from it are compared with the topology.
func (g *Graph) Fingerprint() checkpoint.Fingerprint {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(g.params)) {
		fmt.Fprintf(h, "%q=%q\n", name, g.params[name])
	}
	for _, o := range g.texts {
		fmt.Fprintf(h, "%q: %q\n", o.Operator, o.Text)
	}
	return checkpoint.Fingerprint(fingerprintScheme + "-" + hex.EncodeToString(h.Sum(nil)))
}

// OperatorTexts describes the operators of a sealed graph, in the order in which they were added: what each is, the
// types and codecs of its records and keys, where its input comes from, and how.
func (g *Graph) OperatorTexts() []checkpoint.OperatorText { return slices.Clone(g.texts) }

// describe writes down the operators as they were declared, before Seal settles what depends on the parallelism.
func (g *Graph) describe() {
	for _, o := range g.operators {
		g.texts = append(g.texts, checkpoint.OperatorText{Operator: o.id, Text: o.text()})
	}
}

func (o *node) text() string {
	parts := []string{o.kind}
	if o.kind == "" {
		parts[0] = "operator"
	}
	for _, l := range o.inputs {
		from := string(l.from.id)
		if l.tag != "" {
			from += " (side output " + l.tag + ")"
		}
		input := fmt.Sprintf("input %d from %s by %s", l.input, from, l.partitioning)
		if l.keys != "" {
			input += " of " + l.keys
		}
		parts = append(parts, input)
	}
	if o.out != "" {
		parts = append(parts, "emits "+o.out)
	}
	for _, tag := range slices.Sorted(maps.Keys(o.sides)) {
		parts = append(parts, "side output "+tag+" of "+typeText(o.sides[tag].of))
	}
	return strings.Join(parts, ", ")
}

// as notes what kind of operator the stream comes from.
func (s Stream[T]) as(kind string) Stream[T] {
	s.outlets[0].node.kind = kind
	return s
}

// recordText describes records, or keys, as they travel.
func recordText[T any](records codec.Codec[T]) string {
	if records == nil {
		return typeTextFor[T]() + " without a codec"
	}
	layout := typeName(records)
	if d, describes := records.(codec.Describer); describes {
		layout = d.Describe()
	}
	return typeTextFor[T]() + " in " + layout
}
