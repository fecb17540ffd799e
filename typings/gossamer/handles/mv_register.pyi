from node.handles.mv_register import *
