package fsm

import "errors"

// The reasons for which Step rejects a command. They come wrapped with the job, checkpoint or attempt that
// they are about; test with errors.Is.
var (
	// ErrInvalid says that the command is not well-formed, whatever the state is.
	ErrInvalid = errors.New("invalid command")
	// ErrUnknownJob says that no job has that ID: it was never submitted, or ended long ago.
	ErrUnknownJob = errors.New("unknown job")
	// ErrJobExists says that a job of that ID has been submitted before.
	ErrJobExists = errors.New("job exists")
	// ErrNameTaken says that another job of that name has not ended.
	ErrNameTaken = errors.New("job name is taken")
	// ErrJobEnded says that the job is in a terminal status.
	ErrJobEnded = errors.New("job has ended")
	// ErrNotRunning says that the command needs a running job.
	ErrNotRunning = errors.New("job is not running")
	// ErrWrongStatus says that the job cannot take this step of its life from where it stands.
	ErrWrongStatus = errors.New("job is in the wrong status")
	// ErrStaleAttempt says that the command names an attempt other than the one that is due (I6).
	ErrStaleAttempt = errors.New("stale attempt")
	// ErrUnknownCheckpoint says that the checkpoint is not in the completed-checkpoint log.
	ErrUnknownCheckpoint = errors.New("unknown checkpoint")
	// ErrInUse says that a job depends on the checkpoint or savepoint.
	ErrInUse = errors.New("in use")
	// ErrSavepointExists says that there is another savepoint of that job and ID, with other content.
	ErrSavepointExists = errors.New("savepoint exists")
	// ErrIncomplete says that the import of a savepoint has begun and is not finished.
	ErrIncomplete = errors.New("import is not complete")
	// ErrFallback says that the job may not go back to an older checkpoint than its newest.
	ErrFallback = errors.New("restore.fallback is false")
	// ErrNotPending says that the checkpoint never began or has its outcome already (I2).
	ErrNotPending = errors.New("checkpoint is not pending")
)

// The reasons for which persisted bytes are refused.
var (
	// ErrNewerVersion says that a newer version of Cairn wrote the bytes.
	ErrNewerVersion = errors.New("written by a newer version")
	// ErrCorrupt says that the bytes are not what they should be, or break an invariant.
	ErrCorrupt = errors.New("corrupt or foreign data")
)
