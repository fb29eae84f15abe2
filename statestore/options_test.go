package statestore

import (
	"strings"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	if err := DefaultOptions().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	got := Options{PutTimeout: time.Second}.withDefaults()
	if got.Replicas != 2 || got.PutTimeout != time.Second || got.GetTimeout != 10*time.Second || got.SlowAfter != 2*time.Second {
		t.Errorf("defaults filled in as %+v", got)
	}
	for field, bad := range map[string]Options{
		"replicas -1":    {Replicas: -1},
		"put timeout -1": {PutTimeout: -1},
		"get timeout -1": {GetTimeout: -1},
		"slow after -1":  {SlowAfter: -1},
	} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("Validate of %s: %v, want an error that names it", field, err)
		}
	}
}
