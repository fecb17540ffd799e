from proto.data_pb2_grpc import *
