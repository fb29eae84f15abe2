// Package objectstore opens the shared stores that a node can keep chunks in, by URL:
//
//	file:///DIR                                             a directory that all nodes have mounted
//	s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=R  an S3-compatible bucket
//	mem://NAME                                              the memory of this process, for tests and toys
//
// What comes back is a statestore.Objects. Every operation of a bucket takes a bounded time: it fails when a
// connection carries nothing for half a minute, and reads are tried again a few times.
package objectstore
