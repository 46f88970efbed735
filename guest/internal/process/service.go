package process

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"skerry.dev/guest/internal/access"
	processpb "skerry.dev/guest/proto/process"
)

// Service answers the process service of the envd protocol.
type Service struct {
	table *Table
	guard *access.Guard
}

// NewService serves table to those whom guard lets in.
func NewService(table *Table, guard *access.Guard) *Service {
	return &Service{table: table, guard: guard}
}

func (s *Service) List(_ context.Context, _ *connect.Request[processpb.ListRequest]) (*connect.Response[processpb.ListResponse], error) {
	response := &processpb.ListResponse{}
	for _, process := range s.table.list() {
		if process.leaderGone.Load() {
			continue
		}
		response.Processes = append(response.Processes,
			&processpb.ProcessInfo{Config: process.config, Pid: uint32(process.pid), Tag: process.tag})
	}
	return connect.NewResponse(response), nil
}

func (s *Service) Start(ctx context.Context, request *connect.Request[processpb.StartRequest], stream *connect.ServerStream[processpb.StartResponse]) error {
	user, with, err := s.guard.User(request.Header())
	if err != nil {
		return err
	}
	if request.Msg.GetProcess() == nil {
		return connect.NewError(connect.CodeInvalidArgument, errors.New("`process` is missing"))
	}
	process, subscriber, err := s.table.start(request.Msg, user, with, timeLimit(ctx), access.AbandonOnStall(ctx))
	if err != nil {
		return err
	}
	err = follow(ctx, process, subscriber, request.Header(), func(event *processpb.ProcessEvent) error {
		return stream.Send(&processpb.StartResponse{Event: event})
	})
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTimedOut) {
		process.expire()
		return connect.NewError(connect.CodeDeadlineExceeded,
			fmt.Errorf("the process %d ran longer than its timeout and was killed with all its children", process.pid))
	}
	return err
}

func (s *Service) Connect(ctx context.Context, request *connect.Request[processpb.ConnectRequest], stream *connect.ServerStream[processpb.ConnectResponse]) error {
	if _, _, err := s.guard.User(request.Header()); err != nil {
		return err
	}
	process, err := s.table.find(request.Msg.GetProcess(), true)
	if err != nil {
		return err
	}
	subscriber := process.output.attach(access.AbandonOnStall(ctx))
	err = follow(ctx, process, subscriber, request.Header(), func(event *processpb.ProcessEvent) error {
		return stream.Send(&processpb.ConnectResponse{Event: event})
	})
	if errors.Is(err, errTimedOut) {
		return connect.NewError(connect.CodeDeadlineExceeded, errors.New("the process ran longer than its timeout and was killed"))
	}
	return err
}

func (s *Service) Update(_ context.Context, request *connect.Request[processpb.UpdateRequest]) (*connect.Response[processpb.UpdateResponse], error) {
	process, err := s.table.find(request.Msg.GetProcess(), false)
	if err != nil {
		return nil, err
	}
	if request.Msg.Pty != nil {
		if process.terminal == nil {
			return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("the process has no terminal to resize"))
		}
		if err := resize(process.terminal, request.Msg.GetPty().GetSize()); err != nil {
			return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("cannot resize the terminal: %w", err))
		}
	}
	return connect.NewResponse(&processpb.UpdateResponse{}), nil
}

func (s *Service) SendInput(ctx context.Context, request *connect.Request[processpb.SendInputRequest]) (*connect.Response[processpb.SendInputResponse], error) {
	process, err := s.table.find(request.Msg.GetProcess(), false)
	if err != nil {
		return nil, err
	}
	if err := process.feed(ctx, request.Msg.GetInput()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&processpb.SendInputResponse{}), nil
}

func (s *Service) StreamInput(ctx context.Context, stream *connect.ClientStream[processpb.StreamInputRequest]) (*connect.Response[processpb.StreamInputResponse], error) {
	var process *Process
	for stream.Receive() {
		switch event := stream.Msg().GetEvent().(type) {
		case *processpb.StreamInputRequest_Start:
			found, err := s.table.find(event.Start.GetProcess(), false)
			if err != nil {
				return nil, err
			}
			process = found
		case *processpb.StreamInputRequest_Data:
			if process == nil {
				return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("the first message must be `start`"))
			}
			if err := process.feed(ctx, event.Data.GetInput()); err != nil {
				return nil, err
			}
		}
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	return connect.NewResponse(&processpb.StreamInputResponse{}), nil
}

func (s *Service) SendSignal(_ context.Context, request *connect.Request[processpb.SendSignalRequest]) (*connect.Response[processpb.SendSignalResponse], error) {
	process, err := s.table.find(request.Msg.GetProcess(), false)
	if err != nil {
		return nil, err
	}
	number := int32(request.Msg.GetSignal())
	if number < 1 || number > 64 {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("invalid signal %d: it must be 1 to 64", number))
	}
	if err := s.table.reaper.Signal(process.pid, syscall.Signal(number)); err != nil {
		if errors.Is(err, syscall.ESRCH) {
			return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("process %d has already ended", process.pid))
		}
		return nil, connect.NewError(connect.CodeInternal, fmt.Errorf("cannot signal process %d: %w", process.pid, err))
	}
	return connect.NewResponse(&processpb.SendSignalResponse{}), nil
}

func (s *Service) CloseStdin(_ context.Context, request *connect.Request[processpb.CloseStdinRequest]) (*connect.Response[processpb.CloseStdinResponse], error) {
	process, err := s.table.find(request.Msg.GetProcess(), false)
	if err != nil {
		return nil, err
	}
	if process.terminal != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("the process has a terminal: send it ^D (4) instead"))
	}
	process.input.close()
	return connect.NewResponse(&processpb.CloseStdinResponse{}), nil
}

// feed writes one message of input.
func (p *Process) feed(ctx context.Context, message *processpb.ProcessInput) error {
	switch given := message.GetInput().(type) {
	case *processpb.ProcessInput_Stdin:
		if p.terminal != nil {
			return connect.NewError(connect.CodeFailedPrecondition, errors.New("the process has a terminal: send `pty` input"))
		}
		return p.input.write(ctx, given.Stdin)
	case *processpb.ProcessInput_Pty:
		if p.terminal == nil {
			return connect.NewError(connect.CodeFailedPrecondition, errors.New("the process has no terminal: send `stdin` input"))
		}
		return p.input.write(ctx, given.Pty)
	}
	return connect.NewError(connect.CodeInvalidArgument, errors.New("`input` is missing"))
}

var errTimedOut = errors.New("the process ran longer than its timeout")

// follow sends a process's events until it has ended or the client has gone.
func follow(ctx context.Context, p *Process, s *subscriber, header interface{ Get(string) string }, send func(*processpb.ProcessEvent) error) error {
	defer s.leave()
	start := &processpb.ProcessEvent_StartEvent{Pid: uint32(p.pid), DroppedBytes: s.dropped}
	if err := send(&processpb.ProcessEvent{Event: &processpb.ProcessEvent_Start{Start: start}}); err != nil {
		return err
	}
	interval := access.KeepaliveInterval(header.Get("Keepalive-Ping-Interval"))
	alarm := time.NewTimer(interval)
	defer alarm.Stop()
	for {
		piece, err := s.next(ctx, alarm.C)
		event := &processpb.ProcessEvent{}
		switch {
		case errors.Is(err, errOutputDone):
			if p.output.ending.timedOut {
				return errTimedOut
			}
			return send(&processpb.ProcessEvent{Event: &processpb.ProcessEvent_End{End: endEvent(p.output.ending)}})
		case errors.Is(err, errSlowClient):
			return connect.NewError(connect.CodeResourceExhausted,
				fmt.Errorf("detached from process %d: the client did not read for %s; connect again to get the newest output", p.pid, p.output.stall))
		case err != nil:
			return err
		case piece.data == nil:
			event.Event = &processpb.ProcessEvent_Keepalive{Keepalive: &processpb.ProcessEvent_KeepAlive{}}
		default:
			event.Event = &processpb.ProcessEvent_Data{Data: dataEvent(piece)}
		}
		if err := send(event); err != nil {
			return err
		}
		if piece.data != nil {
			s.took()
		}
		alarm.Reset(interval)
	}
}

func dataEvent(piece chunk) *processpb.ProcessEvent_DataEvent {
	switch piece.from {
	case fromStdout:
		return &processpb.ProcessEvent_DataEvent{Output: &processpb.ProcessEvent_DataEvent_Stdout{Stdout: piece.data}}
	case fromStderr:
		return &processpb.ProcessEvent_DataEvent{Output: &processpb.ProcessEvent_DataEvent_Stderr{Stderr: piece.data}}
	}
	return &processpb.ProcessEvent_DataEvent{Output: &processpb.ProcessEvent_DataEvent_Pty{Pty: piece.data}}
}

func endEvent(how *ending) *processpb.ProcessEvent_EndEvent {
	event := &processpb.ProcessEvent_EndEvent{ExitCode: how.code, Exited: how.exited, Status: how.status}
	if how.failure != "" {
		event.Error = &how.failure
	}
	return event
}
