// Package file reads the lines of files as a stream and writes a stream to files, exactly once.
//
// # Source
//
// The files of a directory are the splits of the source. Every subtask lists the directory and computes the
// same assignment, so the input must look the same from every node that may run the source, and the files
// must not change while the job runs: what is appended later is not read, a file that has become shorter is
// an error. The position in each file is state, and reading goes on behind it after a restore.
//
// # Sink
//
// Each subtask writes files of its own into one directory, a new one for each checkpoint: a file is written
// as "part-<job>-<subtask>-<attempt>-<seq>.inprogress", renamed to ".pending" when the checkpoint's barrier has
// come and its bytes are durable, and to its final name when the checkpoint has completed. What has a final
// name is output, and is never changed; everything else is not. The directory must be reachable under the
// same name from every node that may run the sink: the one that commits a file after a restore need not be
// the one that wrote it.
package file
