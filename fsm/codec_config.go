package fsm

import (
	"time"

	"cairn/checkpoint"
	"cairn/fsm/fsmpb"
)

func configToPB(c checkpoint.Config) *fsmpb.Config {
	r := c.Restart
	return &fsmpb.Config{
		Interval: int64(c.Interval), MinPause: int64(c.MinPause), Timeout: int64(c.Timeout),
		MaxConcurrent: int64(c.MaxConcurrent), TolerableFailures: int64(c.TolerableFailures), Mode: uint32(c.Mode),
		Retain: int64(c.Retain), RetainOnCancel: c.RetainOnCancel,
		Alignment: uint32(c.Alignment), AlignmentTimeout: int64(c.AlignmentTimeout), AfterTasksFinish: c.AfterTasksFinish,
		StateBackend: uint32(c.Backend), RestoreFallback: c.RestoreFallback,
		RestartStrategy: uint32(r.Strategy),
		RestartInitial:  int64(r.InitialBackoff), RestartMax: int64(r.MaxBackoff), RestartMultiplier: r.BackoffMultiplier,
		RestartResetAfter: int64(r.ResetBackoffThreshold), RestartJitter: r.JitterFactor, RestartMaxAttempts: int64(r.MaxAttempts),
		RestartAttempts: int64(r.Attempts), RestartDelay: int64(r.Delay),
		RestartMaxFailures: int64(r.MaxFailures), RestartFailureInterval: int64(r.FailureInterval),
	}
}

func (d *decoding) config(pb *fsmpb.Config) checkpoint.Config {
	c := checkpoint.Config{
		Interval: time.Duration(pb.GetInterval()), MinPause: time.Duration(pb.GetMinPause()),
		Timeout: time.Duration(pb.GetTimeout()), MaxConcurrent: int(pb.GetMaxConcurrent()),
		TolerableFailures: int(pb.GetTolerableFailures()), Mode: checkpoint.Mode(d.enum(pb.GetMode())),
		Retain: int(pb.GetRetain()), RetainOnCancel: pb.GetRetainOnCancel(),
		Alignment:        checkpoint.Alignment(d.enum(pb.GetAlignment())),
		AlignmentTimeout: time.Duration(pb.GetAlignmentTimeout()), AfterTasksFinish: pb.GetAfterTasksFinish(),
		Backend: checkpoint.StateBackend(d.enum(pb.GetStateBackend())), RestoreFallback: pb.GetRestoreFallback(),
		Restart: d.restartConfig(pb),
	}
	if d.version < 2 { // it had no choice of these
		defaults := checkpoint.DefaultConfig()
		c.Alignment, c.AlignmentTimeout = defaults.Alignment, defaults.AlignmentTimeout
		c.AfterTasksFinish = defaults.AfterTasksFinish
	}
	return c
}

func (d *decoding) restartConfig(pb *fsmpb.Config) checkpoint.RestartConfig {
	r := checkpoint.RestartConfig{
		Strategy:       checkpoint.RestartStrategy(d.enum(pb.GetRestartStrategy())),
		InitialBackoff: time.Duration(pb.GetRestartInitial()), MaxBackoff: time.Duration(pb.GetRestartMax()),
		BackoffMultiplier: pb.GetRestartMultiplier(), ResetBackoffThreshold: time.Duration(pb.GetRestartResetAfter()),
		JitterFactor: pb.GetRestartJitter(), MaxAttempts: int(pb.GetRestartMaxAttempts()),
		Attempts: int(pb.GetRestartAttempts()), Delay: time.Duration(pb.GetRestartDelay()),
		MaxFailures: int(pb.GetRestartMaxFailures()), FailureInterval: time.Duration(pb.GetRestartFailureInterval()),
	}
	if d.version < 2 { // it knew exponential delay only, without jitter's figure
		defaults := checkpoint.DefaultRestartConfig()
		r.Strategy, r.JitterFactor = defaults.Strategy, defaults.JitterFactor
		r.Attempts, r.Delay = defaults.Attempts, defaults.Delay
		r.MaxFailures, r.FailureInterval = defaults.MaxFailures, defaults.FailureInterval
	}
	return r
}

func restartToPB(r Restart) *fsmpb.Restart {
	return &fsmpb.Restart{
		Count: int64(r.Count), Delay: r.Delay, NextAt: int64(r.NextAt), LastFailureAt: int64(r.LastFailureAt),
		SinceReset: int64(r.SinceReset), Failures: each(r.Failures, func(at checkpoint.Timestamp) int64 { return int64(at) }),
	}
}

func (d *decoding) restart(pb *fsmpb.Restart) Restart {
	return Restart{
		Count: int(pb.GetCount()), Delay: pb.GetDelay(), NextAt: checkpoint.Timestamp(pb.GetNextAt()),
		LastFailureAt: checkpoint.Timestamp(pb.GetLastFailureAt()), SinceReset: int(pb.GetSinceReset()),
		Failures: each(pb.GetFailures(), func(at int64) checkpoint.Timestamp { return checkpoint.Timestamp(at) }),
	}
}
