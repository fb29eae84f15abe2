package fsm

import "cairn/fsm/fsmpb"

func summaryToPB(s Summary) *fsmpb.Summary {
	return &fsmpb.Summary{
		Duration: distributionToPB(s.Duration), StateSize: distributionToPB(s.StateSize),
		Checkpointed: distributionToPB(s.Checkpointed), Alignment: distributionToPB(s.Alignment),
		Processed: distributionToPB(s.Processed), Persisted: distributionToPB(s.Persisted),
	}
}

func (d *decoding) summary(pb *fsmpb.Summary) Summary {
	return Summary{
		Duration: d.distribution(pb.GetDuration()), StateSize: d.distribution(pb.GetStateSize()),
		Checkpointed: d.distribution(pb.GetCheckpointed()), Alignment: d.distribution(pb.GetAlignment()),
		Processed: d.distribution(pb.GetProcessed()), Persisted: d.distribution(pb.GetPersisted()),
	}
}

func distributionToPB(x Distribution) *fsmpb.Distribution {
	return &fsmpb.Distribution{
		Count: x.Count, Sum: x.Sum, Min: x.Min, Max: x.Max,
		Bucket:      each(x.Buckets, func(b Bucket) uint32 { return uint32(b.Index) }),
		BucketCount: each(x.Buckets, func(b Bucket) uint64 { return b.Count }),
	}
}

func (d *decoding) distribution(pb *fsmpb.Distribution) Distribution {
	x := Distribution{Count: pb.GetCount(), Sum: pb.GetSum(), Min: pb.GetMin(), Max: pb.GetMax()}
	counts := pb.GetBucketCount()
	if len(counts) != len(pb.GetBucket()) {
		d.fail("a distribution with %d buckets and %d counts", len(pb.GetBucket()), len(counts))
		return Distribution{}
	}
	for i, index := range pb.GetBucket() {
		if index > maxBucket {
			d.fail("a distribution with bucket %d", index)
		}
		x.Buckets = append(x.Buckets, Bucket{Index: uint16(index), Count: counts[i]})
	}
	return x
}
