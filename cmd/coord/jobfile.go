package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"cairn/checkpoint"
	"cairn/internal/cliargs"
)

// maxJobFile bounds what is read of a job file, in bytes.
const maxJobFile = 1 << 20

// jobFile is what a file for "job submit --config" says.
type jobFile struct {
	path          string
	name, program string // empty when the file does not say
	params        map[string]string
	config        map[string]string // keys of the configuration, dotted
	// at says where each key of config stands, and keys lists them in the order of the file.
	at   map[string]*token.Position
	keys []string
}

// readJobFile reads a file strictly: whatever it does not know is an error that says where it stands.
func readJobFile(path string) (jobFile, error) {
	f := jobFile{
		path: path, params: make(map[string]string), config: make(map[string]string), at: make(map[string]*token.Position),
	}
	data, err := readBounded(path)
	if err != nil {
		return f, err
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return f, fmt.Errorf("%s: want one YAML document with the keys of a job", path)
	}
	return f, f.mapping(file.Docs[0].Body, "", f.key)
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxJobFile+1))
	if err == nil && len(data) > maxJobFile {
		err = errors.New("it has more than 1 MiB: that is no job file")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// mapping calls each with the path and value of every entry of a mapping. The path of a key below others is theirs
// and its own, with dots between.
func (f *jobFile) mapping(node ast.Node, prefix string, each func(path string, key *token.Token, value ast.Node) error) error {
	m, ok := node.(ast.MapNode)
	if !ok {
		return f.errorf(node.GetToken(), "%swant KEY: VALUE, not %s", inside(prefix), describe(node))
	}
	for entries := m.MapRange(); entries.Next(); {
		key, ok := entries.Key().(*ast.StringNode)
		if !ok {
			return f.errorf(entries.Key().GetToken(), "%s%s is no key", inside(prefix), describe(entries.Key()))
		}
		if err := each(prefix+key.Value, key.GetToken(), entries.Value()); err != nil {
			return err
		}
	}
	return nil
}

func inside(prefix string) string {
	if prefix == "" {
		return ""
	}
	return strings.TrimSuffix(prefix, ".") + ": "
}

// key takes in one entry of the file.
func (f *jobFile) key(path string, key *token.Token, value ast.Node) error {
	switch path {
	case "name":
		return f.scalar(path, key, value, &f.name)
	case "program":
		return f.scalar(path, key, value, &f.program)
	case "params":
		return f.mapping(value, "params.", f.param)
	}
	known := slices.Sorted(maps.Keys(checkpoint.DefaultConfig().Values()))
	isSection := func(k string) bool { return strings.HasPrefix(k, path+".") }
	switch {
	case slices.Contains(known, path):
		return f.configKey(path, key, value)
	case slices.ContainsFunc(known, isSection):
		return f.mapping(value, path+".", f.key)
	}
	text := fmt.Sprintf("unknown key %q", path)
	if nearest := cliargs.Nearest(path, candidates(known)); nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", nearest)
	} else {
		text += "; known are name, program, params, " + strings.Join(known, ", ")
	}
	return f.errorf(key, "%s", text)
}

// candidates are what an unknown key may have been meant to be: a key, or a section of keys.
func candidates(known []string) []string {
	all := []string{"name", "program", "params"}
	for _, k := range known {
		for i := range k {
			if k[i] == '.' && !slices.Contains(all, k[:i]) {
				all = append(all, k[:i])
			}
		}
	}
	return append(all, known...)
}

func (f *jobFile) configKey(path string, key *token.Token, value ast.Node) error {
	if first, given := f.at[path]; given { // once nested and once dotted
		return f.errorf(key, "%s is given twice, first in line %d", path, first.Line)
	}
	var text string
	if err := f.scalar(path, key, value, &text); err != nil {
		return err
	}
	f.config[path], f.at[path] = text, value.GetToken().Position
	f.keys = append(f.keys, path)
	return nil
}

func (f *jobFile) param(path string, key *token.Token, value ast.Node) error {
	var text string
	if err := f.scalar(path, key, value, &text); err != nil {
		return err
	}
	f.params[strings.TrimPrefix(path, "params.")] = text
	return nil
}

// scalar reads a single value, as it stands in the file.
func (f *jobFile) scalar(path string, key *token.Token, node ast.Node, into *string) error {
	switch node := node.(type) {
	case *ast.StringNode:
		*into = node.Value
	case *ast.LiteralNode:
		*into = node.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		*into = node.GetToken().Value
	default:
		return f.errorf(key, "%s: want a single value, not %s", path, describe(node))
	}
	return nil
}

func describe(node ast.Node) string {
	switch node.Type() {
	case ast.NullType:
		return "nothing"
	case ast.SequenceType:
		return "a list"
	case ast.MappingType, ast.MappingValueType:
		return "keys with values"
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType, ast.DirectiveType:
		return "an anchor, alias or tag"
	}
	return fmt.Sprintf("%q", node.GetToken().Value)
}

func (f *jobFile) errorf(at *token.Token, format string, args ...any) error {
	return f.errorAt(at.Position, fmt.Errorf(format, args...))
}

func (f *jobFile) errorAt(at *token.Position, err error) error {
	return fmt.Errorf("%s:%d:%d: %w", f.path, at.Line, at.Column, err)
}

// check validates a configuration that was put together from the file and from flags, which win. Where the file is
// to blame the error says where: at the first key without whose value all would be well.
func (f *jobFile) check(config map[string]string) error {
	_, err := checkpoint.ParseConfig(config)
	if err == nil {
		return nil
	}
	for _, key := range f.keys {
		without := maps.Clone(config)
		delete(without, key)
		if _, still := checkpoint.ParseConfig(without); still == nil && config[key] == f.config[key] {
			return f.errorAt(f.at[key], err)
		}
	}
	return err
}
