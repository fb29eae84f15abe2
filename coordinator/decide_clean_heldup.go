package coordinator

import (
	"errors"
	"fmt"

	"cairn/checkpoint"
	"cairn/fsm"
)

// heldUpBy says what keeps a sweep from deleting, and what helps, empty for nil.
func (v *View) heldUpBy(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var unreadable *UnreadableError
	if errors.As(err, &unreadable) {
		if of := v.namedBy(unreadable.Manifest); of != "" {
			text += "; it is of " + of
		}
	}
	return text
}

// namedBy says what a manifest is of that is in use, and how it is given up; empty when nothing is known to name it.
func (v *View) namedBy(manifest checkpoint.ChunkID) string {
	is := func(c fsm.Completed) bool { return c.Manifest.ID == manifest }
	for _, j := range v.Jobs {
		for _, c := range j.Savepoints {
			if is(c) {
				return fmt.Sprintf("savepoint %d of job %s: start the nodes that have it, or give it up with coord savepoint dispose %s/%d", c.ID, j.Name, j.ID, c.ID)
			}
		}
		for _, c := range j.Completed {
			if is(c) {
				return fmt.Sprintf("checkpoint %d of job %s: start the nodes that have it", c.ID, j.Name)
			}
		}
		if j.Source.Manifest.ID == manifest {
			return fmt.Sprintf("%s %d, from which job %s was submitted: start the nodes that have it", j.Source.Kind, j.Source.Checkpoint, j.Name)
		}
	}
	for _, i := range v.Imports {
		if i.Manifest.ID == manifest {
			return fmt.Sprintf("imported savepoint %d of job %s: import it again, or give it up with coord savepoint dispose %s/%d",
				i.Checkpoint, importedName(i), i.Job, i.Checkpoint)
		}
	}
	return ""
}

// sweepProblems says what keeps state from being deleted that nothing names, for people.
func (v *View) sweepProblems() []string {
	var said []string
	if cause := v.cleaning.heldUp; cause != "" {
		said = append(said, "nothing is deleted of the state that is not needed any more: "+cause)
	}
	if cause := v.cleaning.full.heldUp; cause != "" {
		said = append(said, "orphaned state is not deleted: "+cause)
	}
	return said
}
