package filesystem

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/access"
	filesystempb "skerry.dev/guest/proto/filesystem"
)

// watcherLimit bounds the watchers that are fetched from. The one that was fetched from longest ago gives way.
const watcherLimit = 128

// watchers are the watches whose clients come back for events.
type watchers struct {
	mu   sync.Mutex
	open map[string]*polledWatch
}

type polledWatch struct {
	*watch
	fetched time.Time
}

func newWatchers() *watchers { return &watchers{open: map[string]*polledWatch{}} }

func (w *watchers) add(opened *watch) string {
	var random [16]byte
	_, _ = rand.Read(random[:])
	id := hex.EncodeToString(random[:])
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.open) >= watcherLimit {
		oldest := ""
		for candidate, other := range w.open {
			if oldest == "" || other.fetched.Before(w.open[oldest].fetched) {
				oldest = candidate
			}
		}
		w.open[oldest].close()
		delete(w.open, oldest)
	}
	w.open[id] = &polledWatch{watch: opened, fetched: time.Now()}
	return id
}

func (w *watchers) find(id string, remove bool) (*polledWatch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, ok := w.open[id]
	if !ok {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("watcher with id '%s' not found", id))
	}
	found.fetched = time.Now()
	if remove {
		delete(w.open, id)
	}
	return found, nil
}

func (s *Service) CreateWatcher(_ context.Context, request *connect.Request[filesystempb.CreateWatcherRequest]) (*connect.Response[filesystempb.CreateWatcherResponse], error) {
	opened, err := s.openWatch(request.Header(), request.Msg)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&filesystempb.CreateWatcherResponse{WatcherId: s.watchers.add(opened)}), nil
}

func (s *Service) GetWatcherEvents(_ context.Context, request *connect.Request[filesystempb.GetWatcherEventsRequest]) (*connect.Response[filesystempb.GetWatcherEventsResponse], error) {
	found, err := s.watchers.find(request.Msg.GetWatcherId(), false)
	if err != nil {
		return nil, err
	}
	events, err := found.take()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&filesystempb.GetWatcherEventsResponse{Events: events}), nil
}

func (s *Service) RemoveWatcher(_ context.Context, request *connect.Request[filesystempb.RemoveWatcherRequest]) (*connect.Response[filesystempb.RemoveWatcherResponse], error) {
	found, err := s.watchers.find(request.Msg.GetWatcherId(), true)
	if err != nil {
		return nil, err
	}
	found.close()
	return connect.NewResponse(&filesystempb.RemoveWatcherResponse{}), nil
}

func (s *Service) WatchDir(ctx context.Context, request *connect.Request[filesystempb.WatchDirRequest], stream *connect.ServerStream[filesystempb.WatchDirResponse]) error {
	opened, err := s.openWatch(request.Header(), request.Msg)
	if err != nil {
		return err
	}
	defer opened.close()
	start := &filesystempb.WatchDirResponse{Event: &filesystempb.WatchDirResponse_Start{Start: &filesystempb.WatchDirResponse_StartEvent{}}}
	if err := stream.Send(start); err != nil {
		return err
	}
	interval := access.KeepaliveInterval(request.Header().Get("Keepalive-Ping-Interval"))
	alarm := time.NewTimer(interval)
	defer alarm.Stop()
	for {
		select {
		case <-opened.ready:
			for {
				events, err := opened.take()
				if err != nil {
					return err
				}
				if len(events) == 0 {
					break
				}
				for _, event := range events {
					if err := stream.Send(&filesystempb.WatchDirResponse{Event: &filesystempb.WatchDirResponse_Filesystem{Filesystem: event}}); err != nil {
						return err
					}
				}
			}
		case <-alarm.C:
			keepalive := &filesystempb.WatchDirResponse{Event: &filesystempb.WatchDirResponse_Keepalive{Keepalive: &filesystempb.WatchDirResponse_KeepAlive{}}}
			if err := stream.Send(keepalive); err != nil {
				return err
			}
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return connect.NewError(connect.CodeDeadlineExceeded, errors.New("the watch's time is over"))
			}
			return context.Cause(ctx)
		}
		alarm.Reset(interval)
	}
}
