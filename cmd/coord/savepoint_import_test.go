package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/api"
)

func statusOf(s api.Status) func(context.Context) (api.Status, error) {
	return func(context.Context) (api.Status, error) { return s, nil }
}

// The manifest is stored before the import begins, and the chunks behind that.
func TestImportInItsOrder(t *testing.T) {
	b := newBench()
	b.service.begin = func() error {
		if len(b.directories.manifests) != len(b.service.begun) || len(b.directories.chunks) > 0 {
			t.Errorf("begun with %d manifests, %d chunks stored", len(b.directories.manifests), len(b.directories.chunks))
		}
		if len(b.service.begun) < 3 { // a sweep has taken the manifest
			return api.Errorf(api.Unavailable, "store it again")
		}
		return nil
	}
	b.directories.stored = 5
	r := b.run(t, "savepoint", "import", "/backup")
	if r.code != 0 || !strings.HasPrefix(r.stdout, "Imported savepoint 9 of job orders: 15 chunks, 3.0 MiB, of which 5 were stored now.\n") {
		t.Errorf("%+v", r)
	}
	if want := "aa11 2100 orders"; len(b.service.begun) != 3 || b.service.begun[2] != want {
		t.Errorf("begun %q, want %q", b.service.begun, want)
	}
	if want := []string{"10.0.0.1:7490"}; !slices.Equal(b.directories.chunks, want) || !slices.Equal(b.service.finished, []string{exampleImport().Job + "/9"}) {
		t.Errorf("chunks stored on %q, finished %q", b.directories.chunks, b.service.finished)
	}
}

// What has become of an import that fails is said.
func TestImportFailures(t *testing.T) {
	const unfinished = "; the import of savepoint 00112233445566778899aabbccddeeff/9 is not complete: repeat the command, or give it up with " +
		"coord savepoint dispose 00112233445566778899aabbccddeeff/9\n"
	for _, c := range []struct {
		name  string
		spoil func(*bench)
		want  string
	}{
		{"a damaged directory", func(b *bench) { b.directories.err = errors.New("chunks/aa11 does not match") }, "chunks/aa11 does not match; nothing was imported\n"},
		{"no node", func(b *bench) { b.service.status = statusOf(api.Status{}) }, "no task node is alive that could hold the savepoint's state; see coord status; nothing was imported\n"},
		{"another savepoint", func(b *bench) {
			b.service.begin = func() error { return api.Errorf(api.AlreadyExists, "savepoint exists") }
		}, "savepoint exists; nothing was imported\n"},
		{"a full disk", func(b *bench) { b.directories.put = errors.New("no node took it: node n1: no space left on device") }, "no node took it: node n1: no space left on device" + unfinished},
		{"lost meanwhile", func(b *bench) { b.service.finish = api.Errorf(api.Unavailable, "chunk aa11 is nowhere") }, "chunk aa11 is nowhere" + unfinished},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench()
			c.spoil(b)
			if r := b.run(t, "savepoint", "import", "/backup"); r.code != 1 || r.stdout != "" || r.stderr != "Error: "+c.want {
				t.Errorf("%+v, want %q", r, c.want)
			}
		})
	}
}

func TestListOfImports(t *testing.T) {
	b := newBench()
	begun := exampleImport()
	begun.ID, begun.Incomplete = 10, true
	b.service.savepoints = append(b.service.savepoints, exampleImport(), begun)
	r := b.run(t, "savepoint", "list")
	if !strings.Contains(r.stdout, "imported  ") || !strings.Contains(r.stdout, "incomplete  ") {
		t.Errorf("%s", r.stdout)
	}
}

func TestExportFailures(t *testing.T) {
	full := t.TempDir()
	b := newBench()
	if r := b.run(t, "savepoint", "export", "wordcount", "41", filepath.Dir(full)); r.code != 2 || !strings.Contains(r.stderr, "it is not empty") {
		t.Errorf("%+v", r)
	}
	for args, want := range map[string]string{
		"wordcount 7 testdata/none": "Error: job wordcount has no checkpoint 7\n",
		"letters 41 testdata/none":  "Error: unknown job \"letters\"; known are wordcount\n",
		"wordcount x testdata/none": `savepoint ID "x": must be a positive whole number`,
		"wordcount testdata/none":   `savepoint "wordcount": want JOB/ID`,
	} {
		r := b.run(t, append([]string{"savepoint", "export"}, strings.Fields(args)...)...)
		if r.code == 0 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	b.service.location.Kind = "checkpoint"
	if r := b.run(t, "savepoint", "export", "wordcount/41", "testdata/none"); r.code != 1 || !strings.Contains(r.stderr, "41 of job wordcount is a checkpoint") {
		t.Errorf("%+v", r)
	}
	b = newBench()
	b.directories.err = errors.New("no space left")
	if r := b.run(t, "savepoint", "export", "wordcount/41", "testdata/none"); r.code != 1 || r.stderr != "Error: no space left\n" {
		t.Errorf("%+v", r)
	}
}

// A transfer is shown on a terminal, with its rate.
func TestTransferProgress(t *testing.T) {
	b := newBench()
	b.interactive = true
	now := exampleNow
	b.now = func() time.Time { now = now.Add(time.Second); return now }
	r := b.run(t, "savepoint", "import", "/backup")
	for _, want := range []string{
		clearLine + "verifying /backup: [======              ] 1.0 MiB of 3.0 MiB, 1.0 MiB/s" + clearLine,
		clearLine + "importing /backup: [======              ] 1.0 MiB of 3.0 MiB, 1.0 MiB/s" + clearLine,
	} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("stderr %q, want %q in it", r.stderr, want)
		}
	}
	if got := bar(0, 0) + bar(0, 5) + bar(7, 5); got != "[====================][                    ][====================]" {
		t.Error(got)
	}
}
