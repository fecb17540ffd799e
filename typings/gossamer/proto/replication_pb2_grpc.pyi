from proto.replication_pb2_grpc import *
