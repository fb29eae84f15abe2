package objectstore

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Location says where a shared store is. It holds no secrets.
type Location struct {
	scheme   string
	dir      string   // of a directory, absolute
	bucket   string   // of a bucket
	prefix   string   // of a bucket: empty, or ending with a slash
	endpoint *url.URL // of a bucket: scheme and host
	region   string   // of a bucket
	memory   string   // name of a store in memory
}

// defaultRegion is what S3-compatible servers that know no regions take.
const defaultRegion = "us-east-1"

const forms = "file:///DIR, s3://BUCKET/PREFIX?endpoint=https://HOST:PORT or mem://NAME"

var (
	bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	wordPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// Parse reads the URL of a shared store. The error says what is wrong with it, and what is allowed. It does not repeat
// what could be a secret.
func Parse(text string) (Location, error) {
	u, err := url.Parse(text)
	if err != nil {
		var parts *url.Error
		if errors.As(err, &parts) {
			err = parts.Err // without the text
		}
		return Location{}, fmt.Errorf("not a URL: %w; want %s", err, forms)
	}
	switch {
	case u.User != nil:
		return Location{}, errors.New("credentials do not belong into the URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
	case u.Fragment != "":
		return Location{}, fmt.Errorf("%q: nothing is allowed behind a #", text)
	case u.Scheme != "s3" && u.RawQuery != "":
		return Location{}, fmt.Errorf("%q: parameters are for s3 only", text)
	}
	switch u.Scheme {
	case "file":
		return parseDirectory(u)
	case "s3":
		return parseBucket(u)
	case "mem":
		return parseMemory(u)
	}
	return Location{}, fmt.Errorf("%q: unknown kind of store; want %s", text, forms)
}

func parseDirectory(u *url.URL) (Location, error) {
	switch {
	case u.Host != "" || u.Opaque != "":
		return Location{}, fmt.Errorf("%q: the path must be absolute: three slashes, as in file:///mnt/cairn", u)
	case filepath.Clean(u.Path) == "/" || u.Path == "":
		return Location{}, fmt.Errorf("%q: name a directory, as in file:///mnt/cairn", u)
	}
	return Location{scheme: "file", dir: filepath.Clean(u.Path)}, nil
}

func parseMemory(u *url.URL) (Location, error) {
	if u.Path != "" || u.Opaque != "" || u.Host != "" && !wordPattern.MatchString(u.Host) {
		return Location{}, fmt.Errorf("%q: the name must be of letters, digits, dots, dashes and underscores, as in mem://test", u)
	}
	return Location{scheme: "mem", memory: u.Host}, nil
}

func parseBucket(u *url.URL) (Location, error) {
	l := Location{scheme: "s3", bucket: u.Host, region: defaultRegion}
	if !bucketPattern.MatchString(u.Host) {
		return Location{}, fmt.Errorf("bucket %q: must be 3 to 63 lower-case letters, digits, dots or dashes", u.Host)
	}
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		for part := range strings.SplitSeq(prefix, "/") {
			if !wordPattern.MatchString(part) {
				return Location{}, fmt.Errorf("prefix %q: its parts must be of letters, digits, dots, dashes and underscores, and begin with a letter or digit", prefix)
			}
		}
		l.prefix = prefix + "/"
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, fmt.Errorf("the parameters of s3://%s cannot be read: want endpoint=https://HOST:PORT and region=NAME", u.Host)
	}
	for name, values := range parameters {
		if !slices.Contains([]string{"endpoint", "region"}, name) || len(values) != 1 {
			return Location{}, fmt.Errorf("parameter %q of s3://%s: want endpoint, and region where it is needed, once each", name, u.Host)
		}
	}
	if l.endpoint, err = parseEndpoint(parameters.Get("endpoint")); err != nil {
		return Location{}, err
	}
	if parameters.Has("region") {
		if l.region = parameters.Get("region"); !wordPattern.MatchString(l.region) {
			return Location{}, fmt.Errorf("region %q: must be letters, digits and dashes, as in %s", l.region, defaultRegion)
		}
	}
	return l, nil
}

func parseEndpoint(text string) (*url.URL, error) {
	const want = "as in endpoint=https://s3.example.com:9000"
	if text == "" {
		return nil, errors.New("the endpoint is missing: name the server, " + want)
	}
	u, err := url.Parse(text)
	if err != nil || u.User != nil {
		return nil, errors.New("the endpoint is not a plain URL, " + want)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("endpoint %q: want http:// or https://, a host, and a port where it is not the usual one, %s", text, want)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// String returns the location's canonical form, which two nodes with the same store share. That of a store in memory does
// not say whose memory.
func (l Location) String() string {
	switch l.scheme {
	case "file":
		return "file://" + l.dir
	case "s3":
		return fmt.Sprintf("s3://%s/%s?endpoint=%s", l.bucket, strings.TrimSuffix(l.prefix, "/"), l.endpoint)
	}
	return "mem://" + l.memory
}
