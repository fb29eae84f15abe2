package coordinator

import (
	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func (r reading) statistics(j *fsm.Job) (api.CheckpointStatistics, error) {
	c := j.Counters
	return api.CheckpointStatistics{
		Counts: api.CheckpointCounts{
			Restored: c.Restored, Total: c.Completed + c.Failed + uint64(len(j.Pending)), InProgress: len(j.Pending),
			Completed: c.Completed, Failed: c.Failed,
		},
		Summary: api.CheckpointSummary{
			EndToEndDuration: distributionModel(j.Summary.Duration),
			StateSize:        distributionModel(j.Summary.StateSize),
			CheckpointedSize: distributionModel(j.Summary.Checkpointed),
			Alignment:        distributionModel(j.Summary.Alignment),
			ProcessedData:    distributionModel(j.Summary.Processed),
			PersistedData:    distributionModel(j.Summary.Persisted),
		},
		Latest: latestModel(j),
	}, nil
}

func distributionModel(d fsm.Distribution) api.Distribution {
	return api.Distribution{
		Min: d.Min, Max: d.Max, Avg: d.Avg(), P50: d.Quantile(0.5), P90: d.Quantile(0.9), P95: d.Quantile(0.95),
		P99: d.Quantile(0.99), P999: d.Quantile(0.999),
	}
}

// latestModel finds the last of each sort in the history, which is in the order of the outcomes.
func latestModel(j *fsm.Job) api.LatestCheckpoints {
	latest := api.LatestCheckpoints{Restored: uint64(j.RestoredFrom)}
	for _, o := range j.History {
		c := outcomeModel(o)
		switch {
		case o.Status == fsm.OutcomeFailed:
			latest.Failed = &c
		case o.Kind == checkpoint.KindSavepoint:
			latest.Savepoint = &c
		default:
			latest.Completed = &c
		}
	}
	return latest
}
