package codec_test

import (
	"fmt"

	"cairn/dataflow/codec"
)

// A codec of a type, and what is done when the type changes: keep the former one, and say how to convert it.
func ExampleEvolved() {
	type chargeBefore struct{ Dollars float64 }
	type charge struct {
		Cents    int64
		Currency string
	}
	before := codec.MustStruct[chargeBefore]()
	charges := codec.Evolved(codec.MustStruct[charge](), before, func(b chargeBefore) charge {
		return charge{Cents: int64(b.Dollars * 100), Currency: "USD"}
	})

	written := before.Append(nil, chargeBefore{Dollars: 12.5}) // by a build of last year
	c, _, err := charges.Decode(written)
	fmt.Println(c, err)
	_, _, err = codec.MustStruct[charge]().Decode(written)
	fmt.Println(err)
	// Output:
	// {1250 USD} <nil>
	// the value has another layout: its mark is 16a9, and that of struct{Cents int64, Currency string} is 0bdf
}
