package sim

import (
	"testing"

	"github.com/cockroachdb/datadriven"
)

type storyCommand func(s *story, t *testing.T, d *datadriven.TestData) string

// storyCommands are the commands of stories; testdata/README.md says what they do.
var storyCommands = map[string]storyCommand{
	"cluster":   (*story).doCluster,
	"submit":    (*story).doSubmit,
	"trigger":   (*story).doTrigger,
	"savepoint": (*story).doSavepoint,
	"stop":      (*story).doStop,
	"dispose":   (*story).doDispose,
	"set":       (*story).doSet,
	"cancel":    (*story).doCancel,
	"ack":       (*story).doAck,
	"decline":   (*story).doDecline,
	"fail":      (*story).doFail,
	"finish":    (*story).doFinish,
	"hold":      (*story).doHold,
	"deliver":   (*story).doDeliver,
	"lose":      (*story).doLose,
	"replay":    (*story).doReplay,
	"crash":     (*story).doCrash,
	"start":     (*story).doStart,
	"elect":     (*story).doElect,
	"transfer":  (*story).doTransfer,
	"partition": (*story).doPartition,
	"heal":      (*story).doHeal,
	"tick":      (*story).doTick,
	"log":       (*story).doLog,
	"show":      (*story).doShow,
}
