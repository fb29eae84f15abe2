package statestore_test

import (
	"testing"

	"cairn/statestore"
	"cairn/statestore/storetest"
)

// kindsOfObjects are the stores of objects that need no server.
var kindsOfObjects = map[string]func(t *testing.T) statestore.Objects{
	"memory": func(*testing.T) statestore.Objects { return statestore.NewMemoryObjects("mem://test") },
	"directory": func(t *testing.T) statestore.Objects {
		t.Helper()
		d, err := statestore.OpenDirectory(t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	},
}

func TestObjectsConform(t *testing.T) {
	for kind, open := range kindsOfObjects {
		t.Run(kind, func(t *testing.T) { storetest.RunObjects(t, open) })
	}
}

func TestSharedConforms(t *testing.T) {
	for kind, open := range kindsOfObjects {
		t.Run(kind, func(t *testing.T) { storetest.RunShared(t, open) })
	}
}
