package api

// Parallelism says how many subtasks operators are to run as.
type Parallelism struct {
	// All is that of every operator that Operators does not name; 0 leaves those as they are.
	All       int
	Operators map[string]int
}

// Rescaled is what came of RescaleJob.
type Rescaled struct {
	Job JobDetail `json:"job"`
	// Checkpoint is the one from which the job goes on in its new shape; 0 when it had that shape already.
	Checkpoint uint64 `json:"checkpoint"`
}
