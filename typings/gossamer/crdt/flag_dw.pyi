from crdt.flag_dw import *
