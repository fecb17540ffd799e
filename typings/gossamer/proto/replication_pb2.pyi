from proto.replication_pb2 import *
