package auth

import (
	"context"
	"testing"
)

// listed is a passdb and userdb out of a map, for tests.
type listed map[string]Fields

func (l listed) Find(_ context.Context, r *Request) (Fields, error) {
	if fields, ok := l[r.User]; ok {
		return fields, nil
	}
	return nil, ErrUnknown
}

func TestAPasswordIsRightOrWrong(t *testing.T) {
	db := listed{"u1": {{"password", "{PLAIN}pa"}}}
	s, err := New(Options{}, []PassEntry{{Driver: "passwd-file", DB: db, ImportAll: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Login(context.Background(), Request{}, "u1", "pa"); !r.OK {
		t.Errorf("right: %+v", r)
	}
	if r := s.Login(context.Background(), Request{}, "u1", "pb"); r.OK {
		t.Errorf("wrong: %+v", r)
	}
}
