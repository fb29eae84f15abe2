package main

import (
	"errors"
	"fmt"
	"strings"
)

// pairs is a flag.Value that collects key=value. Values may hold anything, commas too.
type pairs map[string]string

// Set adds one key=value. A key is given once: silently taking the last one would hide a slip.
func (kv pairs) Set(s string) error {
	key, value, found := strings.Cut(s, "=")
	if !found || key == "" {
		return errors.New("want KEY=VALUE")
	}
	if _, given := kv[key]; given {
		return fmt.Errorf("%s is given twice", key)
	}
	kv[key] = value
	return nil
}

// String is what cli shows as the flag's default.
func (kv pairs) String() string { return strings.Join(assignments(kv), ",") }
