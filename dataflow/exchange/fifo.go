package exchange

// fifo is a queue in one piece of memory, which it keeps: pushing and popping allocates nothing once it has grown.
// Positions count from the front.
type fifo[T any] struct {
	items []T
	head  int // of the front in items
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

// at returns the item at a position, which is valid until the next change.
func (q *fifo[T]) at(i int) *T { return &q.items[q.head+i] }

func (q *fifo[T]) push(item T) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, item)
}

func (q *fifo[T]) pop() T {
	var none T
	item := q.items[q.head]
	q.items[q.head] = none
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return item
}

// insert puts an item at a position; those from there on move one back.
func (q *fifo[T]) insert(i int, item T) {
	q.push(item)
	for at := q.len() - 1; at > i; at-- {
		*q.at(at), *q.at(at - 1) = *q.at(at - 1), *q.at(at)
	}
}

// remove takes out the item at a position.
func (q *fifo[T]) remove(i int) T {
	for ; i > 0; i-- {
		*q.at(i), *q.at(i - 1) = *q.at(i - 1), *q.at(i)
	}
	return q.pop()
}
