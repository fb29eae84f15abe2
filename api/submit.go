package api

// SubmitJobRequest names a program that the nodes know, and how to run it.
type SubmitJobRequest struct {
	Program string
	Name    string // defaults to Program
	Params  map[string]string
	// Config holds the keys that differ from the defaults, for example "checkpointing.interval": "500ms".
	Config map[string]string
	// Source is what to start from; nil for a fresh start.
	Source *Source
	// Parallelism goes before what the program gives its operators.
	Parallelism Parallelism
}

// Source is a completed checkpoint or savepoint to start a job from.
type Source struct {
	Job        string `json:"job"` // ID or name of the job that took it; always the ID in answers
	Checkpoint uint64 `json:"checkpoint"`
	// Kind is "checkpoint" or "savepoint": which of the two the user means, so that one is not taken for the other.
	Kind string `json:"kind"`
	// Manifest is the chunk of the manifest, and ManifestSize its size. The cluster fills them in.
	Manifest     string `json:"manifest"`
	ManifestSize int64  `json:"manifest_size"`
	// Claim makes the new job the owner (Flink's restore mode CLAIM; otherwise NO_CLAIM).
	Claim bool `json:"claim"`
	// AllowNonRestoredState lets state go unused that no operator of the new graph matches.
	AllowNonRestoredState bool `json:"allow_non_restored_state"`
}
