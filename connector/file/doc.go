// Package file reads the records of files as a stream and writes a stream to files, exactly once. Records are lines
// (NewSource, NewSink), JSON values on lines (JSONLines, NewJSONSink), or comma-separated values (CSV, CSVRows,
// NewCSVSink, NewCSVRowSink).
//
// # Source
//
// The files of a directory are the splits of the source; with SplitSize ranges of them, a record belonging to the range
// in which it begins. A record of CSV may go over several lines, so files of CSV are cut only when NoQuotedNewlines says
// that none does. Every subtask lists the directory and computes the same assignment, so the input must look the same
// from every node that may run the source, and the files must not change while the job runs: what is appended later is
// not read, a file that has become shorter is an error. The position in each file is state, and reading goes on behind it
// after a restore.
//
// A record that cannot be read fails the job, with the file, the offset and its first bytes; SkipPoison skips it.
//
// # Watching a directory
//
// With Watch the source looks for new files again and again, without end. A file is taken when two listings, an interval
// apart, show it with the same size and time of change, so a file that is written slowly should be written under another
// name or elsewhere in the same file system and then renamed: names that begin with "." or "_", in directories of such
// names, or that end in ".inprogress" or ".pending", are not looked at. So one job may watch what another job's sink
// writes. Empty files are not taken. What is appended to a file after it has been taken is not read.
//
// A file belongs to the subtask that the hash of its path names, under whatever parallelism, so subtasks need not talk to
// each other; their shares are even in number only, and only on average. Files that have been read are remembered by name,
// about ten bytes each, as long as they are in the directory: when three listings in a row do not show one, it is forgotten,
// and a file that then comes with its name is a new one. A job cannot change between Watch and no Watch when it goes on
// from a checkpoint: one that holds files is refused.
//
// # Sink
//
// Each subtask writes files of its own, below one directory: a file is written as
// "part-<job>-<subtask>-<attempt>-<seq>.inprogress", renamed to ".pending" when it is complete, at the latest when the
// checkpoint's barrier has come, and to its final name when the checkpoint has completed. What has a final name is output,
// and is never changed; everything else is not. Every checkpoint ends the open files; RollSize and RollEvery end them
// sooner, and a checkpoint then publishes several. Bucket spreads records over directories. Formats other than lines and
// Gzip have their suffix behind the name.
//
// The directory must be reachable under the same name from every node that may run the sink: the one that commits a file
// after a restore need not be the one that wrote it. After a restore each subtask looks through the directory and its
// buckets for what its earlier attempts left over, so buckets that are finished with are better moved elsewhere some day.
package file
