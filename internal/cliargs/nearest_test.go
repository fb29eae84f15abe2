package cliargs

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"cancel", "list", "show", "submit"}
	for word, want := range map[string]string{
		"list":    "list",
		"lst":     "list",   // missing
		"shoow":   "show",   // extra
		"sumbit":  "submit", // swapped
		"cancle":  "cancel",
		"cnacle":  "cancel", // two swaps
		"lost":    "list",   // wrong
		"delete":  "",
		"x":       "",
		"":        "",
		"submits": "submit",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
	if got := Nearest("aa", []string{"ab", "ac"}); got != "ab" {
		t.Errorf("of equally close words %q was chosen, want the first", got)
	}
}
