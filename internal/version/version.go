// Package version holds the version of the build.
package version

// Version is set by the linker (see the Makefile); "dev" in a build without it.
var Version = "dev"
