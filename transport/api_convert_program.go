package transport

import (
	"cairn/api"
	"cairn/transport/transportpb"
)

func programToPB(p api.Program) *transportpb.ProgramInfo {
	return &transportpb.ProgramInfo{
		Name: p.Name, Doc: text(p.Doc), Nodes: p.Nodes, Params: list(p.Params, func(d api.Param) *transportpb.ParamInfo {
			return &transportpb.ParamInfo{Name: d.Name, Doc: text(d.Doc)}
		}),
	}
}

func programFromPB(pb *transportpb.ProgramInfo) api.Program {
	return api.Program{
		Name: pb.GetName(), Doc: pb.GetDoc(), Nodes: list(pb.GetNodes(), func(id string) string { return id }),
		Params: list(pb.GetParams(), func(d *transportpb.ParamInfo) api.Param { return api.Param{Name: d.GetName(), Doc: d.GetDoc()} }),
	}
}
