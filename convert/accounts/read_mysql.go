package accounts

import (
	"context"
	"errors"
)

func (l *List) readMySQL(ctx context.Context, p Place) error { return errors.ErrUnsupported }
