package transport

import (
	"cairn/api"
	"cairn/transport/transportpb"
)

// parallelismToPB returns nil when nothing is asked for.
func parallelismToPB(p api.Parallelism) *transportpb.Parallelism {
	if p.All == 0 && len(p.Operators) == 0 {
		return nil
	}
	return &transportpb.Parallelism{All: int64(p.All), Operators: countsToPB(p.Operators)}
}

func parallelismFromPB(pb *transportpb.Parallelism) api.Parallelism {
	p := api.Parallelism{All: int(pb.GetAll())}
	if len(pb.GetOperators()) > 0 {
		p.Operators = countsFromPB(pb.GetOperators())
	}
	return p
}

// countsToPB and countsFromPB map numbers by operator.
func countsToPB(of map[string]int) map[string]int64 {
	pb := make(map[string]int64, len(of))
	for op, n := range of {
		pb[op] = int64(n)
	}
	return pb
}

func countsFromPB(pb map[string]int64) map[string]int {
	of := make(map[string]int, len(pb))
	for op, n := range pb {
		of[op] = int(n)
	}
	return of
}

func rescaledToPB(r api.Rescaled) *transportpb.RescaledInfo {
	return &transportpb.RescaledInfo{Job: jobDetailToPB(r.Job), Checkpoint: r.Checkpoint}
}

func rescaledFromPB(pb *transportpb.RescaledInfo) api.Rescaled {
	return api.Rescaled{Job: jobDetailFromPB(pb.GetJob()), Checkpoint: pb.GetCheckpoint()}
}
