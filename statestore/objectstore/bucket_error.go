package objectstore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"cairn/statestore"
)

// failed says in the words of statestore what went wrong. It names the store, what was being done, the server's code and
// its message.
func (b *bucket) failed(ctx context.Context, doing, key string, err error) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("%s: %s %s: %w", b.at, doing, key, cause)
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			err = fmt.Errorf("%w: %w; AWS_CA_BUNDLE can name the authority's certificate", statestore.ErrRefused, err)
		}
		return fmt.Errorf("%s: %s %s: %w", b.at, doing, key, err)
	}
	switch {
	case answer.Code == "NoSuchKey":
		return fmt.Errorf("%s: %s: %w", b.at, key, statestore.ErrNoObject)
	case isRefusal(answer):
		return fmt.Errorf("%s: %s %s: %w: %s (%s)", b.at, doing, key, statestore.ErrRefused, answer.Error(), answer.Code)
	}
	return fmt.Errorf("%s: %s %s: %s (%s, HTTP status %d)", b.at, doing, key, answer.Error(), answer.Code, answer.StatusCode)
}

// isRefusal reports whether the same request would be answered the same way again.
func isRefusal(answer minio.ErrorResponse) bool {
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusConflict:
		return false // a conflict is with another request under way
	}
	return answer.StatusCode >= 400 && answer.StatusCode < 500
}
