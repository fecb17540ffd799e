from proto import *
