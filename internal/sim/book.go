package sim

import (
	"maps"
	"slices"

	"cairn/checkpoint"
)

// book keeps an attempt's answers to the checkpoints whose outcome has not been heard.
type book struct {
	kinds     map[checkpoint.ID]checkpoint.Kind
	acks      map[checkpoint.ID]map[int]checkpoint.Ack // by ordinal
	declines  map[checkpoint.ID]map[int]checkpoint.Decline
	completed checkpoint.ID          // the newest completed checkpoint: it and all older ones have their outcome
	settled   map[checkpoint.ID]bool // whose own outcome was heard; that of a savepoint says nothing of others
	floor     checkpoint.ID          // it and all older ones had their outcome before the attempt was deployed
}

func newBook() book {
	return book{
		kinds:    make(map[checkpoint.ID]checkpoint.Kind),
		acks:     make(map[checkpoint.ID]map[int]checkpoint.Ack),
		declines: make(map[checkpoint.ID]map[int]checkpoint.Decline),
		settled:  make(map[checkpoint.ID]bool),
	}
}

func (b *book) resolved(id checkpoint.ID) bool {
	return id <= b.floor || b.settled[id] || b.kinds[id] != checkpoint.KindSavepoint && id <= b.completed
}

// complete records that a checkpoint has completed.
func (b *book) complete(id checkpoint.ID) {
	b.completed = max(b.completed, id)
	b.settle(id)
}

// settle records that a checkpoint has failed, or that a savepoint has its outcome.
func (b *book) settle(id checkpoint.ID) {
	b.settled[id] = true
	maps.DeleteFunc(b.acks, func(id checkpoint.ID, _ map[int]checkpoint.Ack) bool { return b.resolved(id) })
	maps.DeleteFunc(b.declines, func(id checkpoint.ID, _ map[int]checkpoint.Decline) bool { return b.resolved(id) })
}

// enter records an answer and reports whether it is news.
func enter[T any](b *book, m map[checkpoint.ID]map[int]T, id checkpoint.ID, kind checkpoint.Kind, ordinal int, answer T) bool {
	b.kinds[id] = kind
	if _, known := m[id][ordinal]; known || b.resolved(id) {
		return false
	}
	if m[id] == nil {
		m[id] = make(map[int]T)
	}
	m[id][ordinal] = answer
	return true
}

func unresolved[T any](m map[checkpoint.ID]map[int]T) []T {
	var all []T
	for _, id := range slices.Sorted(maps.Keys(m)) {
		for _, ordinal := range slices.Sorted(maps.Keys(m[id])) {
			all = append(all, m[id][ordinal])
		}
	}
	return all
}
