package statestore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cairn/checkpoint"
)

// owners are names of owners.
type owners map[string]struct{}

func (o owners) has(name string) bool {
	_, has := o[name]
	return has
}

// fence makes sure that the processes that are gone rely on nothing that they have stored, should they live all the same
// and be asked to keep anything from now on. It returns all owners of which that is sure, from earlier fences too. It is
// for the first of the living alone, and returns none in the others.
func (s *Shared) fence(ctx context.Context, sweep uint64, live, gone []checkpoint.NodeRef) (owners, error) {
	if len(live) == 0 || processName(live[0]) != s.process {
		return nil, nil
	}
	ended := make(owners) // processes
	for _, node := range gone {
		ended[processName(node)] = struct{}{}
	}
	departed := make(owners)
	standing, err := s.listOwners(ctx, departed)
	if err != nil {
		return nil, err
	}
	s.missAnnouncements(live, standing, departed)
	for _, name := range standing {
		if !ended.has(processOf(name)) || processOf(name) == s.process {
			continue
		}
		if err := s.fenceOwner(ctx, name, fmt.Sprintf("it had ended when sweep %d began, says %s", sweep, s.process)); err != nil {
			return nil, err
		}
		departed[name] = struct{}{}
	}
	return departed, nil
}

// missAnnouncements reports the living who have not announced themselves in this store: they use another one, which looks
// the same to them. A directory that is not mounted is a directory.
func (s *Shared) missAnnouncements(live []checkpoint.NodeRef, standing []string, departed owners) {
	announced := make(owners) // processes
	for _, name := range slices.AppendSeq(standing, maps.Keys(departed)) {
		announced[processOf(name)] = struct{}{}
	}
	for _, node := range live {
		if !announced.has(processName(node)) {
			s.log.Error("a node has not announced itself in the shared store: does it use the same one?", "store", s.Name(), "peer", node.ID)
		}
	}
}

// Owners returns the processes that may own objects and have not been fenced, in no particular order.
func (s *Shared) Owners(ctx context.Context) (all []checkpoint.NodeRef, err error) {
	standing, err := s.listOwners(ctx, make(owners))
	if err != nil {
		return nil, err
	}
	for _, name := range standing {
		if node, ok := parseOwner(name); ok && !slices.Contains(all, node) {
			all = append(all, node)
		}
	}
	return all, nil
}

// listOwners adds the owners that have been fenced to departed, and returns the others.
func (s *Shared) listOwners(ctx context.Context, departed owners) (standing []string, err error) {
	for record, err := range s.objects.List(ctx, ownerPrefix) {
		if err != nil {
			return nil, s.failed("list the processes", err)
		}
		name := strings.TrimPrefix(record.Key, ownerPrefix)
		if record.Size > 0 {
			departed[name] = struct{}{}
		} else {
			standing = append(standing, name)
		}
	}
	return standing, nil
}

func (s *Shared) fenceOwner(ctx context.Context, name, why string) error {
	if err := s.objects.Put(ctx, ownerKey(name), strings.NewReader(why), int64(len(why))); err != nil {
		return s.failed("fence "+name, err)
	}
	return nil
}

// deleteDeparted deletes the objects of departed owners for the chunks.
func (s *Shared) deleteDeparted(ctx context.Context, ids []checkpoint.ChunkID, departed owners) error {
	if len(departed) == 0 {
		return nil
	}
	var mu sync.Mutex
	var failures []error
	var all errgroup.Group
	all.SetLimit(maxDeletions)
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		all.Go(func() error {
			if err := s.deleteOfDeparted(ctx, id, departed); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, s.failed("delete chunk "+id.String(), err))
			}
			return nil
		})
	}
	_ = all.Wait() // nothing fails there
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(failures...)
}

func (s *Shared) deleteOfDeparted(ctx context.Context, id checkpoint.ChunkID, departed owners) error {
	var doomed []string
	for object, err := range s.objects.List(ctx, prefixOf(id)) {
		if err != nil {
			return err
		}
		if n, ours := parseObjectName(object.Key); ours && departed.has(n.owner) {
			doomed = append(doomed, object.Key)
		}
	}
	for _, key := range doomed {
		if err := s.objects.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// tidyOwners follows a list of everything, which has found objects of seen. departedBefore were fenced before it began:
// those of them that have nothing left are forgotten. An owner that has objects and no record was forgotten too early, its
// last upload came late: it is fenced, so that the next sweep finds it.
func (s *Shared) tidyOwners(ctx context.Context, seen, departedBefore owners) error {
	departed := make(owners)
	standing, err := s.listOwners(ctx, departed)
	if err != nil {
		return err
	}
	for name := range seen {
		if !departed.has(name) && !slices.Contains(standing, name) {
			if err := s.fenceOwner(ctx, name, "not announced, says "+s.process); err != nil {
				return err
			}
		}
	}
	for name := range departedBefore {
		if !seen.has(name) {
			if err := s.objects.Delete(ctx, ownerKey(name)); err != nil {
				return s.failed("forget "+name, err)
			}
		}
	}
	return nil
}
