package codec

import "errors"

// Evolved returns a codec that writes values as now does, and reads what now or before has written. Both come from
// StructOf; a value of the former layout is converted. A type that has changed more than once has an evolved codec for
// before, too. It is no codec of keys: state is found by the bytes of its key.
func Evolved[Now, Before any](now Codec[Now], before Codec[Before], convert func(Before) Now) Codec[Now] {
	return evolvedCodec[Now, Before]{Codec: now, before: before, convert: convert}
}

type evolvedCodec[Now, Before any] struct {
	Codec[Now]
	before  Codec[Before]
	convert func(Before) Now
}

func (c evolvedCodec[Now, Before]) Decode(src []byte) (Now, int, error) {
	v, n, err := c.Codec.Decode(src)
	if !errors.Is(err, ErrLayout) {
		return v, n, err
	}
	former, n, formerErr := c.before.Decode(src)
	switch {
	case errors.Is(formerErr, ErrLayout):
		return v, 0, errors.Join(err, formerErr)
	case formerErr != nil:
		return v, 0, formerErr
	}
	return c.convert(former), n, nil
}

// Describe names the layout that is written.
func (c evolvedCodec[Now, Before]) Describe() string { return Describe(c.Codec) }
