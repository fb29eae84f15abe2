package dataflow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Params are the parameters of a submitted job, as text. Getters parse them, and remember which names were
// asked for, so that a misspelled parameter is an error instead of a default that nobody wanted. It belongs
// to one goroutine.
type Params struct {
	values map[string]string
	known  map[string]bool
}

// NewParams returns parameters with the given values, which are copied.
func NewParams(values map[string]string) *Params {
	return &Params{values: maps.Clone(values), known: make(map[string]bool)}
}

// Required returns the parameter's value, or an error when it is missing or empty.
func (p *Params) Required(name string) (string, error) {
	value, _ := p.lookup(name)
	if value == "" {
		return "", fmt.Errorf("parameter %s is required", name)
	}
	return value, nil
}

// String returns the parameter's value, or the default when it is not given.
func (p *Params) String(name, byDefault string) string {
	if value, given := p.lookup(name); given {
		return value
	}
	return byDefault
}

// Int returns the parameter's value, which must lie between least and most, or the default when it is not
// given.
func (p *Params) Int(name string, byDefault, least, most int) (int, error) {
	value, given := p.lookup(name)
	if !given {
		return byDefault, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, notAllowed(name, value, fmt.Sprintf("a whole number from %d to %d", least, most))
	}
	return n, nil
}

// Float returns the parameter's value, which must be a number of at least least, or the default when it is
// not given.
func (p *Params) Float(name string, byDefault, least float64) (float64, error) {
	value, given := p.lookup(name)
	if !given {
		return byDefault, nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || !(f >= least) {
		return 0, notAllowed(name, value, fmt.Sprintf("a number of at least %g", least))
	}
	return f, nil
}

// Duration returns the parameter's value, which must not be negative, or the default when it is not given.
func (p *Params) Duration(name string, byDefault time.Duration) (time.Duration, error) {
	value, given := p.lookup(name)
	if !given {
		return byDefault, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, notAllowed(name, value, "a duration, for example 500ms or 10s")
	}
	return d, nil
}

// Bool returns the parameter's value, or the default when it is not given.
func (p *Params) Bool(name string, byDefault bool) (bool, error) {
	value, given := p.lookup(name)
	switch {
	case !given:
		return byDefault, nil
	case value == "true":
		return true, nil
	case value == "false":
		return false, nil
	}
	return false, notAllowed(name, value, "true or false")
}

// Unknown returns an error that names the first parameter that was given but not asked for by any getter,
// and the names that were.
func (p *Params) Unknown() error {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !p.known[name] {
			return fmt.Errorf("unknown parameter %q: known are %s", name, listed(p.known))
		}
	}
	return nil
}

func (p *Params) lookup(name string) (value string, given bool) {
	p.known[name] = true
	value, given = p.values[name]
	return value, given
}

func notAllowed(name, value, want string) error {
	return fmt.Errorf("parameter %s: %q is not allowed: want %s", name, value, want)
}

// listed returns the names in order, or "none".
func listed[V any](names map[string]V) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}
