from node.op_id import *
