package transport

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"cairn/transport/transportpb"
)

// TestCodecIsProtobufOnTheWire holds that other tools can read what we send, and we what they send.
func TestCodecIsProtobufOnTheWire(t *testing.T) {
	c := newCodec()
	for _, size := range []int{0, 1, 127, 128, 1020, 1024, 32 << 10, 1<<20 + 1, 3 << 20} {
		for _, shared := range []bool{false, true} {
			data := bytes.Repeat([]byte("cairn"), size/5+1)[:size]
			sent, err := c.Marshal(&outgoing{data: data, shared: shared})
			if err != nil {
				t.Fatal(err)
			}
			plain, err := proto.Marshal(&transportpb.ChannelData{Kind: &transportpb.ChannelData_Frame{Frame: data}})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(sent.Materialize(), plain) {
				t.Fatalf("%d bytes, shared %t: not what protobuf writes", size, shared)
			}
			sent.Free()
			received := mem.BufferSlice{mem.SliceBuffer(plain[:len(plain)/2]), mem.SliceBuffer(plain[len(plain)/2:])}
			in := incoming{header: &transportpb.ChannelData{}}
			if err := c.Unmarshal(received, &in); err != nil || !in.isPayload || !bytes.Equal(in.data, data) {
				t.Fatalf("%d bytes: payload %t of %d bytes, %v", size, in.isPayload, len(in.data), err)
			}
			in.free()
		}
	}
}

func TestCodecSharesOnlyWhatIsShared(t *testing.T) {
	c := newCodec()
	data := make([]byte, 4<<10)
	for _, shared := range []bool{false, true} {
		data[0] = 'a'
		sent, err := c.Marshal(&outgoing{data: data, shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		data[0] = 'b'
		message := sent.Materialize()
		if kept := message[len(message)-len(data)] == 'b'; kept != shared {
			t.Errorf("shared %t: the message follows the caller's memory: %t", shared, kept)
		}
		sent.Free()
	}
}

func TestCodecLeavesOtherMessagesToProtobuf(t *testing.T) {
	c := newCodec()
	header := channelToPB(ChannelID{Job: testJob, Attempt: 7})
	sent, err := c.Marshal(&transportpb.ChannelData{Kind: &transportpb.ChannelData_Header{Header: header}})
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Free()
	var plain transportpb.ChannelData
	if err := c.Unmarshal(sent, &plain); err != nil || !proto.Equal(plain.GetHeader(), header) {
		t.Errorf("a plain message came back as %v, %v", &plain, err)
	}
	in := incoming{header: &transportpb.ChannelData{}}
	if err := c.Unmarshal(sent, &in); err != nil || in.isPayload || !proto.Equal(in.header.(*transportpb.ChannelData).GetHeader(), header) {
		t.Errorf("a header came back as payload %t, %v, %v", in.isPayload, in.header, err)
	}
	if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer("\xff\xff")}, &in); err == nil {
		t.Error("garbage was decoded")
	}
}

func FuzzPayload(f *testing.F) {
	for _, seed := range []string{"", "\x12", "\x12\x00", "\x12\x01a", "\x12\x02a", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x0a\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, ok := payloadOf(b)
		if !ok {
			return
		}
		var plain transportpb.ChannelData
		if err := proto.Unmarshal(b, &plain); err != nil || !bytes.Equal(plain.GetFrame(), payload) {
			t.Fatalf("protobuf reads %q, %v; we read %q", plain.GetFrame(), err, payload)
		}
	})
}
