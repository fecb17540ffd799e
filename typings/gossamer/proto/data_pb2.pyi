from proto.data_pb2 import *
