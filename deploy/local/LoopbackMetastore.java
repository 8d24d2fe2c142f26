import java.net.InetSocketAddress;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.HiveMetaStore;
import org.apache.hadoop.hive.metastore.IHMSHandler;
import org.apache.hadoop.hive.metastore.TUGIBasedProcessor;
import org.apache.hadoop.hive.thrift.TUGIContainingTransport;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.server.TThreadPoolServer;
import org.apache.thrift.transport.TServerSocket;

/** HiveMetaStore's own server, but on the one address that it is given: Hive 2.3 listens on all, whatever its settings say. */
public class LoopbackMetastore {
    public static void main(String[] hostAndPort) throws Throwable {
        InetSocketAddress address = new InetSocketAddress(hostAndPort[0], Integer.parseInt(hostAndPort[1]));
        HiveConf settings = new HiveConf(HiveMetaStore.class);
        IHMSHandler handler =
            HiveMetaStore.newRetryingHMSHandler(new HiveMetaStore.HMSHandler("metastore", settings, false), settings);
        TThreadPoolServer.Args options = new TThreadPoolServer.Args(new TServerSocket(address));
        options.processor(new TUGIBasedProcessor(handler));
        options.transportFactory(new TUGIContainingTransport.Factory());
        options.protocolFactory(new TBinaryProtocol.Factory());
        options.minWorkerThreads(4);
        options.maxWorkerThreads(1000);
        new TThreadPoolServer(options).serve();
    }
}
