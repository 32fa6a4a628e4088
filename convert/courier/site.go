package courier

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"time"
)

// ahead is how many users may be done before their turn to be told of: a user of many messages keeps the others waiting
// only behind so many.
const ahead = 1024

// patient is how many users may wait for Courier to leave them alone, each with an open folder, while others are worked on.
const patient = 64

// Site looks at all users, or converts them, Options.Jobs at once. A user that fails is reported as skipped and the others go
// on. The error is for what ended the whole run: a search that cannot go on, or a context that is over; the report is there
// also then and says what was done.
func Site(ctx context.Context, users iter.Seq2[Found, error], o Options) (*Report, error) {
	r := newReport(o)
	jobs := o.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	turns := make(chan *turn, ahead)
	var searched error
	go func() {
		defer close(turns)
		searched = launch(ctx, users, o, jobs, turns)
	}()
	for t := range turns {
		<-t.done
		r.take(t, o)
	}
	err := searched // turns is closed
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		r.Unfinished = err.Error()
	}
	r.Seconds = time.Since(r.Started).Seconds()
	return r, err
}

// turn is one finding, in the order of the search. done is closed when its report is there.
type turn struct {
	found  Found
	report *UserReport // nil for what is no user, and for a user that was not begun
	done   chan struct{}
}

// launch begins with each user as soon as one of jobs places is free and gives the error of the search.
func launch(ctx context.Context, users iter.Seq2[Found, error], o Options, jobs int, turns chan<- *turn) error {
	places, waiting := make(chan struct{}, jobs), make(chan struct{}, patient)
	o.aside = func() (back func()) {
		select {
		case waiting <- struct{}{}:
			<-places
			return func() { <-waiting; places <- struct{}{} }
		default: // as many as may wait do so: this one keeps its place
			return func() {}
		}
	}
	for found, err := range users {
		if err != nil {
			return err
		}
		t := &turn{found: found, done: make(chan struct{})}
		if found.Kind.IsUser() {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			go func() {
				defer func() { <-places; close(t.done) }()
				t.report = one(ctx, found.User, o)
			}()
		} else {
			close(t.done)
		}
		turns <- t
	}
	return nil
}

// one runs for a user. What ends it early is the user's reason; nil when the context was over before anything was done.
func one(ctx context.Context, u User, o Options) *UserReport {
	r, err := Run(ctx, u, o)
	if r == nil {
		r = newUserReport(u, o)
	}
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled) && len(r.Steps) == 0:
		return nil
	case len(r.Steps) > 0 && o.Convert:
		r.Outcome, r.Reason, r.Err = Partly, err.Error(), err
	default:
		r.Outcome, r.Reason, r.Err = Skipped, err.Error(), err
	}
	return r
}

// take sums up what is done and tells of it.
func (r *Report) take(t *turn, o Options) {
	if t.found.Kind != Mailbox {
		r.Other = append(r.Other, t.found)
		if t.found.Kind.LeftOver() {
			r.LeftOver++
		}
		if o.Other != nil {
			o.Other(t.found)
		}
	}
	if t.report == nil {
		return
	}
	r.count(t.report)
	if o.Each == nil {
		r.Users = append(r.Users, t.report)
		return
	}
	o.Each(t.report)
}
