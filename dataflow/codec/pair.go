package codec

// Pair holds two values, for streams of couples that are not worth a type of their own.
type Pair[A, B any] struct {
	First  A
	Second B
}

// PairOf returns the codec of pairs whose halves have the given codecs.
func PairOf[A, B any](first Codec[A], second Codec[B]) Codec[Pair[A, B]] {
	return Struct2(first, second,
		func(p Pair[A, B]) (A, B) { return p.First, p.Second },
		func(a A, b B) Pair[A, B] { return Pair[A, B]{First: a, Second: b} })
}

// Struct2 returns the codec of a type that consists of two parts: split takes a value apart, join puts it
// together again.
func Struct2[T, A, B any](first Codec[A], second Codec[B], split func(T) (A, B), join func(A, B) T) Codec[T] {
	return struct2[T, A, B]{first: first, second: second, split: split, join: join}
}

type struct2[T, A, B any] struct {
	first  Codec[A]
	second Codec[B]
	split  func(T) (A, B)
	join   func(A, B) T
}

func (c struct2[T, A, B]) Append(dst []byte, v T) []byte {
	a, b := c.split(v)
	return c.second.Append(c.first.Append(dst, a), b)
}

func (c struct2[T, A, B]) Decode(src []byte) (v T, n int, err error) {
	a, n, err := c.first.Decode(src)
	if err != nil {
		return v, 0, err
	}
	b, m, err := c.second.Decode(src[n:])
	if err != nil {
		return v, 0, err
	}
	return c.join(a, b), n + m, nil
}

func (c struct2[T, A, B]) Describe() string {
	return "(" + Describe(c.first) + ", " + Describe(c.second) + ")"
}
