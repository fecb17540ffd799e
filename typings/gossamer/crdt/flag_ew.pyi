from crdt.flag_ew import *
