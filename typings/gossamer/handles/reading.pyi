from node.handles.reading import *
