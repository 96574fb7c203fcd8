import serving as serving  # before grpc is imported
