/** The protocols whose ports can be mapped: IPPROTO_… */
export const ipProtocols = { tcp: 6, udp: 17, sctp: 132 } as const;
