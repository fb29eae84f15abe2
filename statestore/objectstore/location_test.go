package objectstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/statestore/objectstore"
)

func TestLocations(t *testing.T) {
	for text, want := range map[string]string{
		"file:///mnt/cairn":                        "file:///mnt/cairn",
		"file:///mnt//a/../cairn/":                 "file:///mnt/cairn",
		"mem://":                                   "mem://",
		"mem://test-1":                             "mem://test-1",
		"s3://bucket?endpoint=https://s3:9000":     "s3://bucket/?endpoint=https://s3:9000",
		"s3://b.u-1/p/q/?endpoint=http://10.0.0.1": "s3://b.u-1/p/q?endpoint=http://10.0.0.1",
		// The region is how to reach a bucket, not which one it is.
		"s3://bucket/p?region=eu-1&endpoint=https://s3.example.com/": "s3://bucket/p?endpoint=https://s3.example.com",
		"s3://bucket/p?endpoint=https%3A%2F%2F%5B%3A%3A1%5D%3A9000":  "s3://bucket/p?endpoint=https://[::1]:9000",
	} {
		at, err := objectstore.Parse(text)
		if err != nil || at.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, at, err, want)
		}
	}
}

// What cannot be is refused with what was wrong, and what is allowed.
func TestBadLocations(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                      {"unknown kind of store", "file:///DIR", "s3://BUCKET", "mem://NAME"},
		"/mnt/cairn":                            {"unknown kind of store", `"/mnt/cairn"`},
		"ftp://host/x":                          {"unknown kind of store", `"ftp://host/x"`},
		"file://mnt/cairn":                      {"must be absolute", "three slashes"},
		"file:cairn":                            {"must be absolute"},
		"file:///":                              {"name a directory"},
		"file:///x?sync=no":                     {"parameters are for s3 only"},
		"file:///x#y":                           {"nothing is allowed behind a #"},
		"file:///%zz":                           {"not a URL", "file:///DIR"},
		"mem://a/b":                             {"letters, digits"},
		"s3://B/p?endpoint=https://h":           {`bucket "B"`, "3 to 63 lower-case"},
		"s3:///p?endpoint=https://h":            {`bucket ""`},
		"s3://bucket/p":                         {"endpoint is missing", "endpoint=https://"},
		"s3://bucket/../p?endpoint=https://h":   {`prefix "../p"`, "letters, digits"},
		"s3://bucket/a b?endpoint=https://h":    {`prefix "a b"`},
		"s3://bucket/p?endpoint=h:9000":         {`endpoint "h:9000"`, "http:// or https://"},
		"s3://bucket/p?endpoint=https://h/path": {`endpoint "https://h/path"`},
		"s3://bucket/p?endpoint=https://h&secret=x":   {`parameter "secret"`, "want endpoint, and region"},
		"s3://bucket/p?endpoint=https://h&region=":    {`region ""`},
		"s3://bucket/p?endpoint=http://a&endpoint=b":  {`parameter "endpoint"`, "once each"},
		"s3://key:hush@bucket/p?endpoint=https://h":   {"credentials do not belong into the URL", "AWS_ACCESS_KEY_ID"},
		"s3://bucket/p?endpoint=https://key:hush@h":   {"endpoint is not a plain URL"},
		"s3://key:hush@bucket/%zz?endpoint=https://h": {"not a URL"},
	} {
		_, err := objectstore.Parse(text)
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: the error does not say %q: %v", text, part, err)
			}
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: the error says the password: %v", text, err)
		}
	}
}

// A store in memory is shared within the process, by name; a directory has to be there.
func TestOpen(t *testing.T) {
	put(t, open(t, "mem://open-a"), "x", []byte("data"))
	if data, err := open(t, "mem://open-a").Read(t.Context(), "x", 0, 10); err != nil || string(data) != "data" {
		t.Errorf("opened again: %q, %v", data, err)
	}
	if _, err := open(t, "mem://open-b").Head(t.Context(), "x"); err == nil {
		t.Error("another name has the same content")
	}
	dir := t.TempDir()
	put(t, open(t, "file://"+dir), "x/y", []byte("data"))
	if data, err := os.ReadFile(filepath.Join(dir, "x", "y")); err != nil || string(data) != "data" {
		t.Errorf("the file has %q, %v", data, err)
	}
	missing := filepath.Join(dir, "not-mounted")
	at, err := objectstore.Parse("file://" + missing)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objectstore.Open(at, nil); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("a directory that is missing: %v", err)
	}
	at, err = objectstore.Parse("s3://bucket/p?endpoint=https://h")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := objectstore.Open(at, nil); err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY must be set") {
		t.Errorf("without credentials: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(dir, "x", "y"))
	if _, err := objectstore.Open(at, nil); err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE") || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("with a CA bundle that is none: %v", err)
	}
}
