from node.handles.resolvers import *
