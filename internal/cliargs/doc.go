// Package cliargs makes command lines that are built with urfave/cli strict and forgiving in the right
// places.
//
// Strict: an unknown command or flag and a wrong number of arguments are errors with exit code 2, at every
// level; the library alone ignores the first and the last. An error is printed once, on standard error,
// without a page of help. Forgiving: flags may stand anywhere, also after the arguments and before the
// command; the library alone takes those for arguments.
//
// The package keeps no state of its own. The library does, in the App: run each App once, from one goroutine.
package cliargs
