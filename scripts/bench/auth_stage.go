package main

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// stage lets package authtest start its servers for this program as it does for tests. Only what that package calls is
// there.
type stage struct {
	testing.TB
	ends []func()
}

// absent is what a stage ends a play with: something is not installed, or does not work.
type absent struct{ error }

// play does something that may skip or fail; either is the error.
func (s *stage) play(do func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			a, ok := r.(absent)
			if !ok {
				panic(r)
			}
			err = a.error
		}
	}()
	do()
	return nil
}

// close stops all that was started, the last one first.
func (s *stage) close() {
	for len(s.ends) > 0 {
		end := s.ends[len(s.ends)-1]
		s.ends = s.ends[:len(s.ends)-1]
		end()
	}
}

func (s *stage) Helper()                           {}
func (s *stage) Cleanup(f func())                  { s.ends = append(s.ends, f) }
func (s *stage) Fatal(args ...any)                 { panic(absent{errors.New(fmt.Sprint(args...))}) }
func (s *stage) Fatalf(format string, args ...any) { panic(absent{fmt.Errorf(format, args...)}) }
func (s *stage) Skip(args ...any)                  { s.Fatal(args...) }
func (s *stage) Skipf(format string, args ...any)  { s.Fatalf(format, args...) }

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
